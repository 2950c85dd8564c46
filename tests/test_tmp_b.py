def test_b(bundle, phantom_scan, engines):
    from lunart import Runner
    for e in engines:
        r=Runner(bundle,engine=e,threads=2,all_candidates=True)(str(phantom_scan)); print(e,r, [round(c.probability,4) for c in r.candidates][:8], r.timings_s)
    print(bundle)
