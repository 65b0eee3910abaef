update crossfade_revision set phase = '{{ phase }}' where release = {{ release }};
drop view temp.crossfade_latest;
drop table temp.crossfade_gate;
commit;
