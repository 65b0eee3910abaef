-- verify v1 -> v2
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
set row_security = off;  -- rows that a policy hides would be left out in silence: rather an error
set search_path = public;
select 'items: price <-> crossfade_new_price' as what, count(*) as rows
from public.items
where case when not (price is distinct from (crossfade_new_price / 100.0)::numeric(12,2)) then false else crossfade_new_price is distinct from (round(price * 100))::bigint end
order by what;
