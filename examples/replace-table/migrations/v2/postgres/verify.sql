-- verify v1 -> v2
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
select 'old: b <-> y' as what, count(*) as rows
from public.old
where y is distinct from (b::text)::text and b is distinct from (case when y ~ '^-?[0-9]{1,9}$' then y::integer end)::integer
order by what;
