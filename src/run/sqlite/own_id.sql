select 'this connection'
