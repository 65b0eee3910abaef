create view {{ view }} as
  select {{ shown }} from {{ table }};
create trigger {{ insert }} instead of insert on {{ view }}
begin
  insert into {{ table }} ({{ columns }})
{%- if row %}
  select {{ values }}
  from (select {{ row }}) as crossfade_row;
{%- else %}
  values ({{ values }});
{%- endif %}
end;
{%- if hidden %}
-- In a statement on that table a bare new.x or old.x would be the table's own; (select new.x) is the written row's.
{%- endif %}
create trigger {{ update }} instead of update on {{ view }}
begin
  update {{ table }} set {{ sets }}
  where {{ found }};
end;
create trigger {{ delete }} instead of delete on {{ view }}
begin
  delete from {{ table }} where {{ found }};
end;
