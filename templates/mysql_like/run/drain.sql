{%- if part == "guard" -%}
create trigger if not exists {{ trigger }} before {{ event }} on {{ table }} for each row
begin
  -- In a trigger database() is the table's own. What the session has chosen stands with the statement that it sent. The runner is of
  -- no version.
  if exists (select * from performance_schema.threads t
             join performance_schema.events_statements_current s on s.thread_id = t.thread_id and s.nesting_event_level = 0
             where t.processlist_id = connection_id()
                   and {{ "not " if refused.old }}(s.current_schema <=> {{ namespace }}
                     or exists (select * from performance_schema.session_connect_attrs a
                                where a.processlist_id = t.processlist_id and a.attr_name = 'program_name'
                                      and instr(concat(' ', regexp_replace(a.attr_value, '[^[:alnum:]_]+', ' '), ' '), {{ word }}) > 0)))
    and not (is_used_lock(concat('crossfade.', connection_id())) <=> connection_id()) then
    signal sqlstate '45000' set message_text = {{ refused.message }};
  end if;
end
{%- else -%}
drop trigger if exists {{ trigger }}
{%- endif %}
