-- verify newton
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It only reads. It makes sense between expand and contract.
-- This transition keeps nothing in two shapes.
select 'nothing to compare' as what, 0 as rows;
