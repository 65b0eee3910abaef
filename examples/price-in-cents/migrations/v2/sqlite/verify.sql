-- verify v1 -> v2
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It only reads. It makes sense between expand and contract.
select 'items: price <-> crossfade_new_price' as what, count(*) as rows
from items
where price is not cast((crossfade_new_price / 100.0) as numeric) and crossfade_new_price is not cast((round(price * 100)) as numeric)
order by what;
