-- verify sprint_122 -> sprint_123
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
set row_security = off;  -- rows that a policy hides would be left out in silence: rather an error
set search_path = public;
select 'customers: email_lower' as what, count(*) as rows
from public.customers
where (email_lower is null and (lower(email))::text is not null)
union all
select 'orders: amount_cents' as what, count(*) as rows
from public.orders
where (amount_cents is null and (round(amount * 100))::bigint is not null)
union all
select 'orders: state <-> status' as what, count(*) as rows
from public.orders
where case when not (state is distinct from (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else ('status has a value that the mapping does not list: ' || status::text)::integer::text::smallint end)::smallint) then false else status is distinct from (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else ('state has a value that the mapping does not list: ' || state::text)::integer::text::varchar end)::varchar end
order by what;
