select group_concat(concat(', `', replace(column_name, '`', '``'), '` = `', replace(column_name, '`', '``'), '`') separator '')
from information_schema.columns
where table_schema = database() and table_name = replace(trim(both '`' from ?1), '``', '`') and extra like '%on update%'
