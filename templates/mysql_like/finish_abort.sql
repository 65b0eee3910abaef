start transaction;
delete from crossfade_failing_row where `release` = {{ release }};
delete from crossfade_checkpoint where `release` = {{ release }};
delete from crossfade_journal where `release` = {{ release }};
update crossfade_revision set phase = 'aborted', `expand` = null, migrate = null where `release` = {{ release }};
commit;
{{ tidy }}
