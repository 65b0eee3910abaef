{%- for table in strangers %}
  select raise(rollback, 'table {{ table.name }} is STRICT or WITHOUT ROWID, which writing it anew would lose')
  where exists (select 1 from pragma_table_list where schema = 'main' and name = {{ table.table }} collate nocase and (wr or strict));
  select raise(rollback, 'table {{ table.name }} has a column that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (select 1 from pragma_table_xinfo({{ table.table }}) where name collate nocase not in ({{ table.columns }}));
  select raise(rollback, 'table {{ table.name }} has an index that no snapshot knows, and that writing it anew would lose: put it into the snapshots')
  where exists (
    select 1 from sqlite_schema
    where type = 'index' and tbl_name = {{ table.table }} collate nocase and sql is not null and name collate nocase not in ({{ table.indexes }}));
  select raise(rollback, 'table {{ table.name }} has a trigger of its own, which writing it anew would lose: drop it, and make it again afterwards')
  where exists (
    select 1 from sqlite_schema
    where type = 'trigger' and tbl_name = {{ table.table }} collate nocase and name not like 'zz!_crossfade!_%' escape '!');
{%- endfor %}
