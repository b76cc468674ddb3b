//! SELFDESTRUCT as it happens: who ends, who is left what.
//!
//! revm's own hook reads the journal's last entry, and one that leaves a contract its own ether writes none: then it is
//! told of nothing, or of whatever stands there.

use alloy_primitives::{Address, U256};
use revm::{
    bytecode::opcode,
    context_interface::{ContextTr, JournalTr},
    interpreter::{
        InstructionResult, Interpreter,
        interpreter_types::{InputsTr, Jumps, LoopControl},
    },
};

/// (contract, whom it leaves its ether, wei).
pub type Left = (Address, Address, U256);

/// Notices it, between two steps of an inspector.
#[derive(Debug, Clone, Default)]
pub struct Destruction(Option<Left>);

impl Destruction {
    /// Before an instruction.
    pub fn begin(&mut self, interpreter: &Interpreter, context: &mut impl ContextTr) {
        if interpreter.bytecode.opcode() != opcode::SELFDESTRUCT {
            return;
        }
        let from = interpreter.input.target_address();
        let balance = context.journal_mut().load_account(from).map(|account| account.data.info.balance);
        let to = interpreter.stack.peek(0).map(|word| Address::from_word(word.into()));
        self.0 = to.ok().zip(balance.ok()).map(|(to, balance)| (from, to, balance));
    }

    /// After an instruction: what was left, if that was one and did what it should.
    pub fn end(&mut self, interpreter: &mut Interpreter) -> Option<Left> {
        let left = self.0.take()?;
        let result = interpreter.bytecode.action().as_ref().and_then(|action| action.instruction_result());
        (result == Some(InstructionResult::SelfDestruct)).then_some(left)
    }
}
