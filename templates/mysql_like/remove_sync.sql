{%- if returns %}
-- In this order: the other way round, an UPDATE would carry over what an INSERT has not been given.
drop trigger if exists {{ update_trigger }};
drop trigger if exists {{ insert_trigger }};
{%- else %}
drop trigger if exists {{ insert_trigger }};
drop trigger if exists {{ update_trigger }};
{%- endif %}
