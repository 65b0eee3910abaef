-- {{ trigger.about }}
create trigger {{ trigger.name }} {{ trigger.event }} on {{ trigger.table }}
when {{ trigger.when }}
begin
  {{ trigger.statement }};
end;
