select 'false'
