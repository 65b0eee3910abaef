insert into crossfade_checkpoint (`release`, backfill, part, last_key, top_key) values (?1, ?2, ?3, ?4, ?5)
on duplicate key update top_key = ?5
