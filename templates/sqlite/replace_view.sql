drop view {{ view }};
create view {{ view }} as
{{ query }};
