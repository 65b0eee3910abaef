update crossfade_checkpoint set last_key = ?5, `rows` = `rows` + ?6
where `release` = ?1 and backfill = ?2 and part = ?3 and finished_at is null
      -- the script writes a blank between two parts
      and replace(last_key, '", "', '","') <=> replace(?4, '", "', '","')
