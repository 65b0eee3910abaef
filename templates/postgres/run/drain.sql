{%- if part == "state" -%}
create or replace function crossfade.drain() returns trigger
language plpgsql as $crossfade$
begin
{%- if refused %}
  -- What a trigger or a foreign key writes belongs to a statement that was let pass, and the runner is of no version.
  if pg_trigger_depth() = 1 and current_setting('application_name') not like 'crossfade %'
    and {{ "not " if refused.old }}({{ namespace }} = any (current_schemas(false))
      or {{ version }} = any (regexp_split_to_array(current_setting('application_name'), '[^[:alnum:]_]+'))) then
    raise exception using errcode = 'object_not_in_prerequisite_state', message = {{ refused.message }}, hint = {{ refused.hint }};
  end if;
{%- endif %}
  return null;
end
$crossfade$
{%- elif part == "guard" -%}
create or replace trigger crossfade_drain before insert or update or delete or truncate on {{ table }}
  for each statement execute function crossfade.drain()
{%- elif part == "unguard" -%}
drop trigger if exists crossfade_drain on {{ table }}
{%- else -%}
drop function if exists crossfade.drain()
{%- endif %}
