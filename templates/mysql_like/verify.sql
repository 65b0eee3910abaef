-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
{%- if database %}
use {{ database }};
{%- endif %}
set names utf8mb4;
{%- if checks %}
{%- for check in checks %}
{% if not loop.first %}union all
{% endif %}select {{ check.what }} as `what`, count(*) as `rows`
from {{ check.table }}
where {{ check.condition }}
{%- endfor %}
order by `what`;
{%- else %}
-- This transition keeps nothing in two shapes.
select 'nothing to compare' as `what`, 0 as `rows`;
{%- endif %}
