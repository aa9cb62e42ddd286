"""Breaks every rule of semgrep.yml once. Never imported; the check fails when a rule overlooks its line."""

import datetime
import marshal
import os
import pickle
import random
import subprocess
import urllib.request
import xml.etree.ElementTree

import requests
from flask import redirect, render_template_string, request
from shop_app.extensions import csrf


def break_everything(connection, name, blob, Model, user):
    connection.execute(f"SELECT * FROM t WHERE name = '{name}'")
    pickle.loads(blob)
    marshal.loads(blob)
    datetime.datetime.now()
    datetime.datetime.utcnow()
    render_template_string(name)
    subprocess.run(name, shell=True)
    os.system(name)
    eval(name)
    Model(**request.form)
    requests.get(name, verify=False)
    token = random.random()
    return redirect(request.args.get("next"))


@csrf.exempt
def unguarded():
    return ""
