-- What the runner says is done survives a crash.
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'
