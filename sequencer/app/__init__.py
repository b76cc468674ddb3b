"""An L2 process put together: a sequencer or a replica."""
