-- verify sprint_122 -> sprint_123
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It only reads. It makes sense between expand and contract.
select 'customers: email_lower' as what, count(*) as rows
from customers
where (email_lower is null and (lower(email)) is not null)
union all
select 'orders: amount_cents' as what, count(*) as rows
from orders
where (amount_cents is null and (round(amount * 100)) is not null)
union all
select 'orders: state <-> status' as what, count(*) as rows
from orders
where state is not (case when status is null then null when status = 'new' then 0 when status = 'paid' then 1 when status = 'shipped' then 2 else json_extract('{}', 'status has a value that the mapping does not list: ' || status) end) and status is not (case when state is null then null when state = 0 then 'new' when state = 1 then 'paid' when state = 2 then 'shipped' else json_extract('{}', 'state has a value that the mapping does not list: ' || state) end)
order by what;
