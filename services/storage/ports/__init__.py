"""What the services ask of a store. `services.storage.mongodb` is the adapter.

Every method may raise `StoreUnavailable`; a lookup of something that is not there raises
`NotFound` unless it returns an optional. Lists are paged by key unless said otherwise; a page
may hold fewer items than asked for and not be the last.
"""
