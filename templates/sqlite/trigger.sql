-- {{ trigger.about }}
create trigger {{ trigger.name }} {{ trigger.event }} on {{ trigger.table }}
{%- if trigger.when %}
when {{ trigger.when }}
{%- endif %}
begin
  {{ trigger.statement }};
end;
