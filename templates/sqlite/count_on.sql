insert into sqlite_sequence (name, seq) select {{ target }}, 0 where not exists (select 1 from sqlite_sequence where name = {{ target }});
update sqlite_sequence
set seq = max(seq, coalesce((select max(seq) from sqlite_sequence where name = {{ source }}), 0))
where name = {{ target }};
