select '{% if refuse %}refused{% else %}warning{% endif %}: {{ text }}: ' || count(*) || {% if group %}' keys stand there more than once (for example ' || min(found) || ')'
from (select {{ group_key }} as found from {{ table }} where {{ condition }} group by {{ group }} having count(*) > 1)
{%- else %}' rows (for example ' || (
  select group_concat(found, '; ') from (select {{ key }} as found from {{ table }} where {{ condition }} limit 5)) || '): {{ then }}'
from {{ table }}
where {{ condition }}
{%- endif %}
having count(*) > 0;
{%- if refuse %}
create temp trigger crossfade_refuse before insert on crossfade_gate
begin
{%- if group %}
  select raise(rollback, '{{ text }}: {{ then }}')
  from {{ table }} where {{ condition }} group by {{ group }} having count(*) > 1;
{%- else %}
  select raise(rollback, '{{ text }}: {{ then }}')
  where exists (select 1 from {{ table }} where {{ condition }});
{%- endif %}
end;
insert into crossfade_gate values (1);
drop trigger crossfade_refuse;
{%- endif %}
