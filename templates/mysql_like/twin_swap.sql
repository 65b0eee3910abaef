{%- if counts %}
{%- if fresh -%}
set session information_schema_stats_expiry = 0;
{% endif -%}
-- The copy goes on counting where the table stands, even if its highest rows are gone.
{{ count_on }}
{% endif -%}
-- Whoever has written the table in a transaction ends that first, so that the copy has all of it. Views and grants go by the name.
{{ rename }}
set @crossfade_left = {{ is_left }};
insert ignore into crossfade_journal (`release`, step) select {{ release }}, {{ step }} from dual where @crossfade_left;
{%- for trigger in triggers %}
drop trigger if exists {{ trigger }};
{%- endfor %}
drop table if exists {{ left }};
-- There is one only where this script runs again.
drop table if exists {{ twin }};
