select cast(table_rows as char) from information_schema.tables
where table_schema = database() and table_name = replace(trim(both '`' from ?1), '``', '`')
