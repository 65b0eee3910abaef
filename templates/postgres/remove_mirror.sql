{%- for table in [source, target] %}
drop trigger if exists {{ insert_trigger }} on {{ table }};
drop trigger if exists {{ update_trigger }} on {{ table }};
drop trigger if exists {{ delete_trigger }} on {{ table }};
drop trigger if exists {{ truncate_trigger }} on {{ table }};
{%- endfor %}
drop function if exists {{ to_target }}();
drop function if exists {{ to_source }}();
