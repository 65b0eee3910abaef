vacuum (truncate off, index_cleanup auto) {{ table }}
