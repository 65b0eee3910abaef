{%- if alone %}
set lock_timeout = 0;  -- it waits for older snapshots and holds nobody up
drop index concurrently if exists {{ index }};
set lock_timeout = '300ms';
{%- else %}
drop index if exists {{ index }};
{%- endif %}
