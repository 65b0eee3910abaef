delete from crossfade.failing_row where release = {{ release }};
delete from crossfade.checkpoint where release = {{ release }};
delete from crossfade.journal where release = {{ release }};
update crossfade.revision set phase = 'aborted', expand = null, migrate = null where release = {{ release }};
