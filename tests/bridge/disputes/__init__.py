"""Games over false claims, from the judgement to the proof."""
