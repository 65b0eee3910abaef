drop procedure crossfade_step;
drop procedure crossfade_refuse;
