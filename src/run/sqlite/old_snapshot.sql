-- Dead rows are gone as soon as they are dead.
select 'false'
