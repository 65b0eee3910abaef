set lock_timeout = 0;  -- it may wait for a vacuum: nobody queues behind it
analyze {{ table }} ({{ columns }});
set lock_timeout = '300ms';
