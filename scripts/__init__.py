# Commands, each a link to lib/launch.py and a module with main(argv). lib/ is the library; studies/ is run seldom.
# SPDX-License-Identifier: MIT
