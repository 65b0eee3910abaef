select {{ texts }} from {{ table }} order by {{ cols_desc }} limit 1
