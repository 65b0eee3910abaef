
  select raise(rollback, 'these scripts need SQLite {{ major }}.{{ minor }} or later')
  where cast(sqlite_version() as integer) < {{ major }}
    or (cast(sqlite_version() as integer) = {{ major }} and cast(substr(sqlite_version(), instr(sqlite_version(), '.') + 1) as integer) < {{ minor }});
