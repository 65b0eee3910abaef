-- From here on there is no way back: abort.sql refuses.
insert ignore into crossfade_journal (`release`, step) values ({{ release }}, 'contract');
