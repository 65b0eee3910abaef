-- The age of a transaction (?1) is nothing that a file knows.
select 'warning', 'no-wal', 'the file', 'its journal mode is ' || journal_mode || ': readers wait while a phase commits, and a long reader keeps it from that (pragma journal_mode = wal)'
from pragma_journal_mode
where journal_mode <> 'wal' and ?1 is not null
union all
select 'error', 'without-rowid', 'table ' || name, 'it is WITHOUT ROWID: a trigger could not name its row, and batches could not walk it'
from pragma_table_list
where schema = 'main' and type = 'table' and wr and name not like 'sqlite!_%' escape '!' and name not like 'crossfade!_%' escape '!'
union all
select 'warning', 'strict', 'table ' || name, 'it is STRICT: it can be given columns, but is not written anew'
from pragma_table_list
where schema = 'main' and type = 'table' and strict
union all
select 'warning', 'user-trigger', 'trigger ' || name || ' on ' || tbl_name, 'it fires for what the sync triggers write, too; and a table with such a trigger is not written anew'
from sqlite_schema
where type = 'trigger' and name not like 'zz!_crossfade!_%' escape '!' and tbl_name in (select name from sqlite_schema where type = 'table')
union all
select 'warning', 'orphans', 'table ' || "table", count(*) || ' references to ' || parent || ' lead nowhere'
from pragma_foreign_key_check
group by "table", parent
