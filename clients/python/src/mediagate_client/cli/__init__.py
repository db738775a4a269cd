"""The command line, `mediagate`: needs `pip install 'mediagate-client[shell]'`.

    main.py --> root.py: which commands there are, loaded when they are called
                   |--> files.py videos.py chat.py admin.py spend.py ...: one group of commands a file
                   |--> the server's own, where it is installed
    each command --> options.py: what every command takes --> shell.py: the gateway, and how to print

Nothing but an answer goes to stdout; progress, notes and errors go to stderr.
"""
