drop procedure crossfade_step;
drop temporary table crossfade_gate;
