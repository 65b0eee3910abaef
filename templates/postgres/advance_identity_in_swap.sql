lock table {{ table }} in share row exclusive mode;
perform set_config('enable_seqscan', 'off', true);  -- the highest value is at the index's end, and found there however small the table
perform setval(sequence, highest)
from (select pg_get_serial_sequence({{ table_literal }}, {{ column_literal }})::regclass as sequence,
             (select max({{ column }}) from {{ table }}) as highest) as found
where highest > coalesce(pg_sequence_last_value(sequence), 0);
