"""Phone numbers: an inventory for each tenant, and their orders.

The inventory says whose a number is. Whether it is paid, on hold or given up says the subscription, of which a number
is an add-on (rater/plans/life/addons.py): that state is the truth, and the inventory follows it.
"""
