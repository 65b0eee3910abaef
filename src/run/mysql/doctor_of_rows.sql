select 'warning', 'row-versions', concat('table ', substring_index(t.name, '/', -1)),
       concat('it has ', t.total_row_versions, ' row versions, of the ',
              if(cast(substring_index(version(), '.', 1) as unsigned) * 100 + cast(substring_index(substring_index(version(), '.', 2), '.', -1) as unsigned) >= 901, 255, 64),
              ' that there may be: add or drop a few columns more, and the server refuses (error 4092) until `alter table … force`')
from information_schema.innodb_tables t
where t.name like concat(replace(database(), '_', '\\_'), '/%') and ?1 is not null
      and t.total_row_versions
          >= if(cast(substring_index(version(), '.', 1) as unsigned) * 100 + cast(substring_index(substring_index(version(), '.', 2), '.', -1) as unsigned) >= 901, 235, 54)
