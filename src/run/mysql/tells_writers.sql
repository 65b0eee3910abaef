select if(count(*) = 1, 'true', 'false')
from performance_schema.threads t
join performance_schema.events_statements_current s on s.thread_id = t.thread_id and s.nesting_event_level = 0
where t.processlist_id = connection_id() and s.current_schema = database()
      -- the guards ask this one, too
      and not exists (select * from performance_schema.session_connect_attrs a where a.processlist_id = t.processlist_id and a.attr_name = '')
