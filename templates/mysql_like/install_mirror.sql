set session foreign_key_checks = 0;
-- Only an expand that was taken back by half has left rows there; migrate copies them again.
{{ clear }}
set session foreign_key_checks = 1;
-- The triggers look first and write only where the two rows differ, so that none of them writes back. The one for INSERT
-- comes last: until then a row of {{ source }} that is new has no image that would have to be kept in step.
delimiter //
{%- for trigger in triggers %}
-- {{ trigger.about }}
create trigger if not exists {{ trigger.name }} {{ trigger.event }} on {{ trigger.table }} for each row
begin
{%- for declaration in trigger.declarations %}
  declare {{ declaration }}
{%- endfor %}
{%- for line in trigger.lines %}
  {{ line }}
{%- endfor %}
end //
{%- endfor %}
delimiter ;
{%- if counts %}
-- Both tables count, and each number is taken in both: {{ target }} goes on where {{ source }} stands.
{%- if fresh %}
set session information_schema_stats_expiry = 0;
{%- endif %}
{{ counts }}
{%- endif %}
