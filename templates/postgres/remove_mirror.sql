{%- for table in [source, target] %}
drop trigger if exists {{ insert_trigger }} on {{ table }};
drop trigger if exists {{ update_trigger }} on {{ table }};
drop trigger if exists {{ delete_trigger }} on {{ table }};
drop trigger if exists {{ truncate_trigger }} on {{ table }};
{%- endfor %}
{%- if guarded %}
drop trigger if exists {{ guard_trigger }} on {{ target }};
{%- endif %}
drop function if exists {{ to_target }}();
drop function if exists {{ to_source }}();
{%- if guarded %}
drop function if exists {{ guard }}();
{%- endif %}
